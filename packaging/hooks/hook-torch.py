"""In place of PyInstaller's hook for torch, which takes every module, test and tool of it: what using it needs."""

from pathlib import Path

from PyInstaller.compat import is_win
from PyInstaller.utils.hooks import (
    PY_DYLIB_PATTERNS,
    collect_dynamic_libs,
    collect_submodules,
    get_module_file_attribute,
)

FOLDER = Path(get_module_file_attribute("torch")).parent
LIBRARIES = collect_dynamic_libs("torch", search_patterns=[*PY_DYLIB_PATTERNS, "*.so.*"])

binaries = [(path, folder) for path, folder in LIBRARIES if Path(path).relative_to(FOLDER).parts[0] == "lib"]
datas = [] if is_win else [(str(FOLDER / "bin" / "torch_shm_manager"), "torch/bin")]  # asked for at import
hiddenimports = collect_submodules("torch._dynamo.polyfills")  # imported by name
module_collection_mode = "pyz+py"  # torch.jit reads sources
# Links at the top would mislead torch about the folder in which its libraries lie.
bindepend_symlink_suppression = ["**/torch/lib/*.so*"]
