# tests/app/test_hardening.py
# SPDX-License-Identifier: MIT
"""What the compiler and the linker promised is in the program: read from its ELF headers
(System V gABI, "Program Header", "Dynamic Section", "Symbol Table"), not from the flags
that configure chose."""
import os
import struct

import tap

build = os.environ.get("top_builddir", ".")
EXECUTE, WRITE = 1, 2
PT_LOAD, PT_DYNAMIC, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 0x6474e551, 0x6474e552
SHT_SYMTAB, STT_FUNC, STB_GLOBAL = 2, 2, 1
DT_STRTAB, DT_STRSZ, DT_RPATH, DT_TEXTREL = 5, 10, 15, 22
DT_BIND_NOW, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 24, 29, 30, 0x6ffffffb
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 4, 8, 1, 0x08000000
# By machine: endbr64; paciasp and bti c.
LANDINGS = {62: [b"\xf3\x0f\x1e\xfa"], 183: [b"\x3f\x23\x03\xd5", b"\x5f\x24\x03\xd5"]}


class Elf:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        assert self.bytes[:6] == b"\x7fELF\x02\x01", "not a little-endian 64-bit ELF file"
        self.type, self.machine = struct.unpack_from("<HH", self.bytes, 16)
        at, = struct.unpack_from("<Q", self.bytes, 32)
        size, count = struct.unpack_from("<HH", self.bytes, 54)
        self.segments = []
        for i in range(count):
            kind, flags, offset, address, _, in_file, in_memory, _ = struct.unpack_from(
                "<IIQQQQQQ", self.bytes, at + i * size)
            self.segments.append((kind, flags, offset, address, in_file, in_memory))
        self.dynamic = {}
        for _, _, offset, _, length, _ in self.of_kind(PT_DYNAMIC):
            for tag, value in struct.iter_unpack("<QQ", self.bytes[offset:offset + length]):
                self.dynamic.setdefault(tag, value)

    def of_kind(self, kind):
        return [segment for segment in self.segments if segment[0] == kind]

    def at_address(self, address):
        for _, _, offset, start, length, _ in self.of_kind(PT_LOAD):
            if start <= address < start + length:
                return offset + address - start
        raise ValueError(f"nothing is at {address:#x}")

    def names(self):
        """Names of the dynamic symbols."""
        start = self.at_address(self.dynamic[DT_STRTAB])
        table = self.bytes[start:start + self.dynamic[DT_STRSZ]]
        return {name.decode("ascii", "replace") for name in table.split(b"\0")}

    def functions(self):
        """Name and first bytes of the functions that other files of the program may call."""
        at, = struct.unpack_from("<Q", self.bytes, 40)
        size, count = struct.unpack_from("<HH", self.bytes, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", self.bytes, at + i * size)
                    for i in range(count)]
        for section in sections:
            if section[1] != SHT_SYMTAB:
                continue
            strings = sections[section[6]][4]
            symbols = self.bytes[section[4]:section[4] + section[5]]
            for name, info, _, where, address, _ in struct.iter_unpack("<IBBHQQ", symbols):
                if info == STB_GLOBAL << 4 | STT_FUNC and where != 0:
                    start, first = strings + name, self.at_address(address)
                    yield (self.bytes[start:self.bytes.index(b"\0", start)].decode(),
                           self.bytes[first:first + 4])


program = Elf(os.path.join(build, "oriel"))
sanitized = "__asan_init" in program.names()


def test_it_can_be_loaded_anywhere():
    assert program.type == 3, program.type
    assert program.dynamic.get(DT_FLAGS_1, 0) & DF_1_PIE, program.dynamic


def test_no_memory_is_both_written_and_executed():
    for kind, flags, *_ in program.of_kind(PT_LOAD):
        assert flags & (WRITE | EXECUTE) != WRITE | EXECUTE, program.segments
    stacks = program.of_kind(PT_GNU_STACK)
    assert len(stacks) == 1 and not stacks[0][1] & EXECUTE, stacks


def test_code_and_constants_are_apart():
    """No headers, strings or tables in pages that can be executed."""
    executable = [segment for segment in program.of_kind(PT_LOAD) if segment[1] & EXECUTE]
    assert len(executable) == 1 and executable[0][2] > 0, program.segments


def test_addresses_of_functions_are_read_only_before_main():
    assert len(program.of_kind(PT_GNU_RELRO)) == 1
    now = (program.dynamic.get(DT_FLAGS, 0) & DF_BIND_NOW
           or program.dynamic.get(DT_FLAGS_1, 0) & DF_1_NOW or DT_BIND_NOW in program.dynamic)
    assert now, program.dynamic


def test_code_is_not_rewritten_at_start():
    assert DT_TEXTREL not in program.dynamic
    assert not program.dynamic.get(DT_FLAGS, 0) & DF_TEXTREL


def test_libraries_come_from_the_system_alone():
    assert DT_RPATH not in program.dynamic and DT_RUNPATH not in program.dynamic


def test_an_overwritten_stack_is_noticed():
    assert "__stack_chk_fail" in program.names()


def test_overlong_copies_are_noticed():
    if sanitized:
        raise tap.Skip("the sanitizer watches copies itself")
    fortified = {name for name in program.names() if name.endswith("_chk")}
    assert {"__memcpy_chk", "__snprintf_chk", "__vsnprintf_chk"} <= fortified, fortified


def test_functions_begin_where_a_jump_may_land():
    """Whether the processor then checks it is up to the C library's own files, whose mark
    (GNU_PROPERTY_X86_FEATURE_1_IBT) a program has only if they all have it."""
    if program.machine not in LANDINGS:
        raise tap.Skip("not known for this processor")
    ours = {name: first for name, first in program.functions()
            if name not in ("_start", "_init", "_fini") and not name.startswith("__")}
    if not ours:
        raise tap.Skip("the program was stripped")
    without = [name for name, first in ours.items() if first not in LANDINGS[program.machine]]
    assert len(ours) > 500 and not without, (len(ours), without[:20])


tap.run(globals())
