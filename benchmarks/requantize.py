"""Other quantizations of a GGUF file, made by the llama.cpp that `xllamacpp` brings.

    python -m benchmarks.requantize SOURCE Q4_0 TARGET

What llama.cpp's own `quantize` does with `--pure --allow-requantize`: every matrix to one type. xllamacpp exports
ggml's functions and not that tool, so they are called by name. A row that a K-quant's blocks of 256 do not fit gets the
type of 4 bits, as in llama.cpp (which takes IQ4_NL for it, and minutes to make it).
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q5_0": 6, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13}
TYPES |= {"Q6_K": 14, "IQ4_NL": 20}
NAMES = {number: name for name, number in TYPES.items()}
FALL_BACK = {"Q2_K": "Q4_0", "Q3_K": "Q4_0"}
SUPER_BLOCK, ALIGNMENT = 256, 32


class _Params(ctypes.Structure):
    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.POINTER(ctypes.c_void_p)))


class _Tensor(ctypes.Structure):
    """The beginning of `struct ggml_tensor`."""

    _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4))


def _library() -> Any:
    import xllamacpp

    library = ctypes.CDLL(str(next(Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "gguf_init_from_file": (pointer, [text, _Params]),
        "gguf_get_n_tensors": (size, [pointer]),
        "gguf_get_tensor_name": (text, [pointer, size]),
        "gguf_set_tensor_type": (None, [pointer, text, ctypes.c_int]),
        "gguf_write_to_file": (ctypes.c_bool, [pointer, text, ctypes.c_bool]),
        "ggml_get_tensor": (pointer, [pointer, text]),
        "ggml_get_data": (pointer, [pointer]),
        "ggml_nelements": (size, [pointer]),
        "ggml_nbytes": (ctypes.c_size_t, [pointer]),
        "ggml_row_size": (ctypes.c_size_t, [ctypes.c_int, size]),
        "ggml_quantize_chunk": (ctypes.c_size_t, [ctypes.c_int, pointer, pointer, size, size, size, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def requantize(source: Path, kind: str, target: Path) -> None:
    """Write `source` with every matrix of its model in another type. Raises ValueError, OSError."""
    library, context = _library(), ctypes.c_void_p()
    file = library.gguf_init_from_file(str(source).encode(), _Params(False, ctypes.pointer(context)))
    if not file:
        raise ValueError(f"{source} is not a GGUF file")
    data: list[Any] = []
    for number in range(library.gguf_get_n_tensors(file)):
        name = library.gguf_get_tensor_name(file, number)
        tensor = library.ggml_get_tensor(context, name)
        head = ctypes.cast(tensor, ctypes.POINTER(_Tensor)).contents
        count, row = library.ggml_nelements(tensor), head.ne[0]
        if NAMES[head.type] in ("F32", "F16") or count == row:
            data.append((ctypes.c_char * library.ggml_nbytes(tensor)).from_address(library.ggml_get_data(tensor)))
            continue
        kind_here = FALL_BACK.get(kind, kind) if row % SUPER_BLOCK else kind
        data.append(_converted(library, tensor, NAMES[head.type], TYPES[kind_here], row))
        library.gguf_set_tensor_type(file, name, TYPES[kind_here])
    if not library.gguf_write_to_file(file, str(target).encode(), True):
        raise OSError(f"{target} could not be written")
    with target.open("ab") as out:
        for piece in data:
            out.write(piece)
            out.write(bytes(-len(piece) % ALIGNMENT))


def _converted(library: Any, tensor: int, before: str, after: int, row: int) -> Any:
    """A tensor's data in another type."""
    count = library.ggml_nelements(tensor)
    dequantize = getattr(
        library, f"dequantize_row_{before if before.endswith('_K') else before.lower()}".replace("Q", "q")
    )
    dequantize.restype, dequantize.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    floats = (ctypes.c_float * count)()
    dequantize(library.ggml_get_data(tensor), floats, count)
    made = (ctypes.c_char * (library.ggml_row_size(after, row) * (count // row)))()
    library.ggml_quantize_chunk(after, floats, made, 0, count // row, row, None)
    return made


if __name__ == "__main__":
    requantize(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
