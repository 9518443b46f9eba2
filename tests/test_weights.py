"""Encoder files that come back bit for bit, and files that were changed, cut, swapped or made to harm."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.weights import check_fit, import_snap, load_encoder_files, save_encoder
from tests.edgewise import EdgewiseEncoder
from tests.tiny import random_batch

RELEASED = [
    f"snap_{conv}_{objective}.pth"
    for conv in ("gcn", "gat", "graphsage")
    for objective in ("contextpred", "supervised", "supervised_contextpred")
]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Encoder, Path]:
    """A small encoder and the folder it was saved in."""
    encoder = Encoder(EncoderConfig(layers=2, width=8, jk="sum"))
    encoder(random_batch(seed=1))
    save_encoder(encoder, tmp_path / "encoder", {"objective": "masking"})
    return encoder.eval(), tmp_path / "encoder"


def rewrite(folder: Path, **changes: object) -> None:
    """Change entries of ``config.json``; the weights' fingerprint is brought up to date."""
    record = read_json(folder / "config.json")
    record["sha256"] = sha256(folder / "encoder.safetensors")
    write_json(folder / "config.json", record | changes)


def test_an_encoder_comes_back_bit_for_bit(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    state = torch.get_rng_state()
    loaded, card = load_encoder_files(folder)
    assert torch.equal(torch.get_rng_state(), state)
    assert loaded.config == encoder.config
    assert card == {"objective": "masking"}
    assert list(loaded.state_dict()) == list(encoder.state_dict())
    assert torch.equal(loaded(random_batch(seed=2)), encoder(random_batch(seed=2)))


def test_a_loaded_encoder_can_be_trained_and_saved_again(saved: tuple[Encoder, Path], tmp_path: Path) -> None:
    loaded, card = load_encoder_files(saved[1])
    loaded.train()(random_batch(seed=2)).square().sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())
    save_encoder(loaded, tmp_path / "again", card)
    assert load_encoder_files(tmp_path / "again")[1] == card


@pytest.mark.parametrize("place", [0, 9, 200, -1])
def test_one_flipped_bit_is_noticed(saved: tuple[Encoder, Path], place: int) -> None:
    path = saved[1] / "encoder.safetensors"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(MolftError, match="not the weights that were saved"):
        load_encoder_files(saved[1])


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_cut_file_is_noticed(saved: tuple[Encoder, Path], size: int) -> None:
    path = saved[1] / "encoder.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MolftError, match="the file was cut or changed"):
        load_encoder_files(saved[1])


def header(value: object) -> bytes:
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 8,
        (2**63).to_bytes(8, "little"),
        (200_000_000).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"\xff\xff",
        (2000).to_bytes(8, "little") + b"[" * 2000,
        header({"x": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}) + bytes(4),
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**40]}}) + bytes(4),
        header({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({"__metadata__": {"about": "{"}}),
        header({"__metadata__": {"about": 3}}),
    ],
)
def test_hostile_headers_are_refused(saved: tuple[Encoder, Path], data: bytes) -> None:
    (saved[1] / "encoder.safetensors").write_bytes(data)
    rewrite(saved[1])
    with pytest.raises(MolftError, match="not a safetensors file written by molft"):
        load_encoder_files(saved[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "molft-encoder-9"}, "format is 'molft-encoder-9'.*install a newer molft"),
        ({"sha256": None}, "not an encoder's configuration"),
        ({"encoder": []}, "not an encoder's configuration"),
        ({"encoder": {"layers": 3}}, "options differ from those its weights were saved with"),
        ({"sha256": "0" * 64}, "expected 000000000000"),
    ],
)
def test_a_changed_configuration_is_noticed(
    saved: tuple[Encoder, Path], changes: dict[str, object], message: str
) -> None:
    rewrite(saved[1], **changes)
    with pytest.raises(MolftError, match=message):
        load_encoder_files(saved[1])


def forge(folder: Path, tensors: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    """A folder with consistent fingerprints around any tensors and options."""
    about = json.dumps(config, sort_keys=True)
    save_file(tensors, folder / "encoder.safetensors", metadata={"about": about})
    rewrite(folder, encoder=config)


def test_weights_that_do_not_fit_are_named(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    tensors = dict(encoder.state_dict())
    tensors["gnns.0.eps"] = tensors.pop("gnns.0.mlp.0.bias")
    tensors["x_embedding2.weight"] = torch.zeros(4, 8)
    forge(folder, tensors, encoder.config.to_json())
    with pytest.raises(MolftError) as caught:
        load_encoder_files(folder)
    for part in (
        "gnns.0.eps is unknown",
        "gnns.0.mlp.0.bias is missing",
        "x_embedding2.weight is torch.float32 (4, 8), expected torch.float32 (3, 8)",
    ):
        assert part in str(caught.value)


def test_options_beyond_the_weights_do_not_fill_the_memory(saved: tuple[Encoder, Path]) -> None:
    encoder, folder = saved
    tensors = dict(encoder.state_dict())
    forge(folder, tensors, encoder.config.to_json() | {"layers": 10**9})
    with pytest.raises(MolftError, match="can't be the weights of 1000000000 layers"):
        load_encoder_files(folder)
    forge(folder, tensors, encoder.config.to_json() | {"width": 10**7})
    with pytest.raises(MolftError, match="and 17 more"):
        load_encoder_files(folder)


def test_weights_that_are_not_numbers_are_refused() -> None:
    encoder = Encoder(EncoderConfig(layers=1, width=4))
    tensors = dict(encoder.state_dict())
    tensors["batch_norms.0.running_var"] = torch.full((4,), float("nan"))
    with pytest.raises(MolftError, match=r"batch_norms\.0\.running_var has values that are not finite"):
        check_fit(encoder, tensors, "here")


@pytest.mark.parametrize("name", ["config.json", "encoder.safetensors"])
def test_a_missing_file_is_named(saved: tuple[Encoder, Path], name: str) -> None:
    (saved[1] / name).unlink()
    with pytest.raises(MolftError, match=f"{name}: can't be read"):
        load_encoder_files(saved[1])


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_files_load_strictly(real_data: Path, name: str) -> None:
    encoder = import_snap(real_data / "weights" / name)
    conv = name.split("_")[1]
    assert encoder.config == EncoderConfig(conv=conv)
    stored = torch.load(real_data / "weights" / name, map_location="cpu", weights_only=True)
    assert list(encoder.state_dict()) == list(stored)
    assert all(torch.equal(ours, stored[key]) for key, ours in encoder.state_dict().items())


@pytest.mark.parametrize("conv", ["gcn", "gat", "graphsage"])
def test_released_weights_give_the_edgewise_states(real_data: Path, conv: str) -> None:
    encoder = import_snap(real_data / "weights" / f"snap_{conv}_supervised_contextpred.pth").double()
    batch = random_batch(seed=5)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(batch), EdgewiseEncoder(encoder).eval()(batch), rtol=1e-8, atol=1e-9
        )


def snap_file(path: Path, conv: str, **options: int) -> Path:
    torch.save(Encoder(EncoderConfig(conv=conv, **options)).state_dict(), path)
    return path


@pytest.mark.parametrize("conv", ["gin", "gat"])
def test_gin_and_gat_are_known_by_their_tensors(tmp_path: Path, conv: str) -> None:
    encoder = import_snap(snap_file(tmp_path / "model.pth", conv, layers=2, width=16))
    assert (encoder.config.conv, encoder.config.layers, encoder.config.width) == (conv, 2, 16)


@pytest.mark.parametrize("name", ["model.pth", "gcn_or_sage.pth"])
def test_gcn_or_graphsage_must_be_said_where_nothing_tells(tmp_path: Path, name: str) -> None:
    path = snap_file(tmp_path / name, "graphsage", layers=1, width=8)
    with pytest.raises(MolftError, match="say which it is"):
        import_snap(path)
    assert import_snap(path, conv="graphsage").config.conv == "graphsage"
    assert import_snap(path, conv="gcn").config.conv == "gcn"


@pytest.mark.parametrize(
    ("name", "conv"),
    [("GCN.pth", "gcn"), ("my_sage.pth", "graphsage")],
)
def test_the_file_name_tells_gcn_from_graphsage(tmp_path: Path, name: str, conv: str) -> None:
    path = snap_file(tmp_path / name, "gcn", layers=1, width=8)
    assert import_snap(path).config.conv == conv
    assert import_snap(path, conv="gcn").config.conv == "gcn"


@pytest.mark.parametrize("conv", ["gin", "gcn", "sage"])
def test_another_convolution_than_the_file_s_is_refused(tmp_path: Path, conv: str) -> None:
    with pytest.raises(MolftError, match=rf"asked for {conv}, but the tensors are those of gat"):
        import_snap(snap_file(tmp_path / "gat.pth", "gat", layers=1, width=8), conv=conv)


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"gnns.0.att": Harm(tmp_path / "harm")}, tmp_path / "gat.pth")
    with pytest.raises(MolftError, match="damaged, or not a file of plain tensors"):
        import_snap(tmp_path / "gat.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "not a state dict"),
        ({"epoch": 3}, "not a state dict"),
        ({}, "say which it is"),
        ({"gnns.0.att": torch.zeros(1)}, "x_embedding1.weight or batch_norms is missing"),
        (
            {"x_embedding1.weight": torch.zeros(120, 8), "batch_norms.0.running_mean": torch.zeros(8)},
            "say which",
        ),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(MolftError, match=message):
        import_snap(tmp_path / "model.pth")


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_a_cut_pth_file_is_refused(tmp_path: Path, size: int) -> None:
    path = snap_file(tmp_path / "gin.pth", "gin", layers=1, width=8)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(MolftError, match=r"gin\.pth: damaged"):
        import_snap(path)


def test_a_missing_pth_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"none\.pth: can't be read: No such file"):
        import_snap(tmp_path / "none.pth")
