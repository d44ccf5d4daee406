import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def nobody_answers(monkeypatch):
    """A question to the user, whom no journey has, fails at once; it would wait for ever, which no time limit ends."""
    from mgeldm_app.ui import wishes

    def ask(*words):
        texts = [word.text() if hasattr(word, "text") else word for word in words]
        raise AssertionError(f"somebody was asked: {texts}")

    monkeypatch.setattr(wishes, "_accepted", ask)
    monkeypatch.setattr(wishes.QMessageBox, "warning", ask)
