"""Writes a libcuda.so.1 that is no driver.

Two libraries end the process when libcuda.so.1, or one of the functions below, is missing, before
anything can report a missing driver: the CUDA provider of ONNX Runtime
1.19 and 1.20 (contrib_ops/cuda/bert/tensorrt_fused_multihead_attention/cudaDriverWrapper.cc), and
cuDNN 8.5 when it loads its convolutions. This library has those functions and nothing that
makes the CUDA runtime take it for a driver. The image has no compiler, hence the bytes.
"""

from __future__ import annotations

import struct
from pathlib import Path

FUNCTIONS = [
    "cuDeviceGetAttribute",
    "cuFuncSetAttribute",
    "cuFuncSetCacheConfig",
    "cuGetErrorName",
    "cuLaunchCooperativeKernel",
    "cuLaunchKernel",
    "cuLinkAddData_v2",
    "cuLinkAddFile_v2",
    "cuLinkComplete",
    "cuLinkCreate_v2",
    "cuLinkDestroy",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuOccupancyMaxActiveBlocksPerMultiprocessor",
]

# mov eax, 100 (CUDA_ERROR_NO_DEVICE); ret
CODE = bytes.fromhex("b864000000c3")

HEADER_SIZE, PROGRAM_HEADER_SIZE, SYMBOL_SIZE, DYNAMIC_SIZE = 64, 56, 24, 16
PT_LOAD, PT_DYNAMIC = 1, 2
READ, WRITE, EXECUTE = 4, 2, 1
DT_NULL, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_SONAME = 0, 4, 5, 6, 10, 11, 14
GLOBAL_FUNCTION = 1 << 4 | 2


def write_stub(folder: Path) -> None:
    """Writes the library, under both names that a driver has, into a folder for the loader."""
    strings = b"\0"
    names = []
    for name in ["libcuda.so.1", *FUNCTIONS]:
        names.append(len(strings))
        strings += name.encode() + b"\0"
    soname, *functions = names

    code = HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE
    symbols = _aligned(code + len(CODE))
    symbol_count = 1 + len(functions)
    table = bytes(SYMBOL_SIZE) + b"".join(
        struct.pack("<IBBHQQ", name, GLOBAL_FUNCTION, 0, 1, code, len(CODE)) for name in functions
    )
    # One bucket that chains all symbols, so the loader compares names one by one.
    hash_table = symbols + len(table)
    chain = [0, *range(2, symbol_count), 0]
    hashes = struct.pack(f"<{3 + symbol_count}I", 1, symbol_count, 1, *chain)
    string_table = hash_table + len(hashes)
    dynamic = _aligned(string_table + len(strings))
    entries = b"".join(
        struct.pack("<QQ", tag, value)
        for tag, value in (
            (DT_SONAME, soname),
            (DT_HASH, hash_table),
            (DT_STRTAB, string_table),
            (DT_SYMTAB, symbols),
            (DT_STRSZ, len(strings)),
            (DT_SYMENT, SYMBOL_SIZE),
            (DT_NULL, 0),
        )
    )
    size = dynamic + len(entries)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",
        *(3, 62, 1),  # shared object, x86-64, version
        *(0, HEADER_SIZE, 0, 0),  # no entry point, program headers, no sections, no flags
        *(HEADER_SIZE, PROGRAM_HEADER_SIZE, 2, 0, 0, 0),
    )
    programs = struct.pack("<IIQQQQQQ", PT_LOAD, READ | WRITE | EXECUTE, 0, 0, 0, size, size, 4096)
    programs += struct.pack(
        "<IIQQQQQQ", PT_DYNAMIC, READ | WRITE, *[dynamic] * 3, *[len(entries)] * 2, 8
    )
    image = bytearray(size)
    for position, part in (
        (0, header + programs + CODE),
        (symbols, table + hashes + strings),
        (dynamic, entries),
    ):
        image[position : position + len(part)] = part
    (folder / "libcuda.so.1").write_bytes(image)
    (folder / "libcuda.so").symlink_to("libcuda.so.1")


def _aligned(position: int) -> int:
    return -(-position // 8) * 8
