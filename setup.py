"""What `pyproject.toml` cannot say: the folder `resources` is installed as `mgeldm/resources` (`mgeldm.bundled`)."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages("model"), *find_packages(include=["mgeldm_app*"]), "mgeldm.resources"],
    package_dir={"mgeldm": "model/mgeldm", "mgeldm_app": "mgeldm_app", "mgeldm.resources": "resources"},
    package_data={
        "mgeldm.training": ["*.toml"],
        "mgeldm.resources": ["app.svg", "embedded/*", "demo/demo.flac", "icons/*", "translations/*.qm"],
    },
)
