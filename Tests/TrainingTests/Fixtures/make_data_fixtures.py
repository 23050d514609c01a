"""Makes the array files that the data tests read: patterns whose values follow from their index.

Needs numpy. Run in this folder: python make_data_fixtures.py
"""
import gzip
import json
import struct

import numpy as np
from numpy.lib import format as npy

grid = np.arange(24).reshape(4, 3, 2)
for code in ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]:
    np.save(f"grid_{code}.npy", grid.astype(code))
np.save("flags.npy", grid % 3 == 0)
np.save("grid_fortran.npy", np.asfortranarray(grid.astype("f4")))
np.save("grid_big_endian.npy", grid.astype(">i4"))
np.save("grid_big_endian_fortran.npy", np.asfortranarray(grid.astype(">f8")))
for version in [(2, 0), (3, 0)]:
    with open(f"grid_v{version[0]}.npy", "wb") as f:
        npy.write_array(f, grid.astype("f4"), version=version)
np.save("objects.npy", np.array([{}, None], dtype=object), allow_pickle=True)
np.save("complex.npy", np.zeros(2, "c8"))
np.save("fields.npy", np.zeros(2, [("a", "f4"), ("b", "i4")]))

arrays = {"x": np.arange(12, dtype="f4").reshape(4, 3) / 4, "labels": np.arange(4), "short": np.arange(3.0)}
np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)

names = np.array(["bo", "ada", "bo", "bø"])
np.savez_compressed(
    "users.npz", x=np.zeros((4, 2), "f4"), labels=np.arange(4), id=np.array([9, -1, 9, 0], "i2"), name=names,
    code=np.array([b"b", b"a", b"b", b"c"]), pair=np.array([[1, 2], [2, 1], [1, 2], [1, 1]]), short=names[:3],
    real=np.array([1.0, 2.0, 1.0, 3.0]))

bfloat = (np.arange(6, dtype="f4") - 2).view("u4") >> 16
parts = [
    ("x", "F32", [4, 2], np.arange(8, dtype="f4").tobytes()),
    ("h", "F16", [4], np.arange(4, dtype="f2").tobytes()),
    ("b", "BF16", [6], bfloat.astype("u2").tobytes()),
    ("labels", "I64", [4], np.arange(4).tobytes()),
    ("mask", "BOOL", [4], bytes([1, 0, 0, 1])),
]
header, data = {"__metadata__": {"made by": "hand"}}, b""
for name, dtype, shape, raw in parts:
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
with open("mixed.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)

pixels = (np.arange(3 * 2 * 4) * 10 % 256).astype("u1")
images = struct.pack(">HBBIII", 0, 8, 3, 3, 2, 4) + pixels.tobytes()
labels = struct.pack(">HBBI", 0, 8, 1, 3) + bytes([7, 0, 9])
for name, content in [("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)]:
    with open(f"idx/{name}.gz", "wb") as f:
        f.write(gzip.compress(content, mtime=0))
with open("idx/t10k-images-idx3-ubyte", "wb") as f:
    f.write(images)
with open("idx/t10k-labels-idx1-ubyte", "wb") as f:
    f.write(labels)
