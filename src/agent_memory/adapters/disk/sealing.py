"""Blocks sealed with AES-256-GCM: without the key, a folder tells sizes and dates, and nothing else.

A file is three sealed pieces: whose it is, the block's header (its tokens are the conversation), the tensors.

    magic | length of the header's piece | root of its namespace | header | tensors
            4 bytes, little-endian         heads' key              the namespace's own key

Every key is derived from the one that was given (HKDF-SHA256), the tensors' from the namespace's root too, so each
tenant has keys of its own. A piece is bound to its file's name, its place in the file and its root: a file under
another's name or tenant does not open. Names are keyed digests: a block's plain hash would let a guess at its text be
confirmed. Nonces are random, 96 bits: safe for 2^32 pieces under one key.
"""

import hmac
import os
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent_memory.adapters.disk.format import MAX_HEADER, VERSION
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import BlockHash, PartKey

MAGIC = b"AMSEAL1\n"
_NONCE, _TAG = 12, 16
_ROOT = _NONCE + 32 + _TAG
_PREFIX = len(MAGIC) + 4 + _ROOT
_MAX_PIECE = 8 + MAX_HEADER + _NONCE + _TAG


class Sealed:
    """`key` is 32 bytes. Files of another key lie in another folder, and are not looked at."""

    suffix = f".v{VERSION}.sealed"

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names = self._derive(b"names")
        self._heads = AESGCM(self._derive(b"heads"))
        self._notes = AESGCM(self._derive(b"notes"))
        self._roots: dict[str, AESGCM] = {}
        self.folder = f"sealed-{self._derive(b'folder')[:8].hex()}"

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), length=32, salt=None, info=b"agent-memory " + purpose).derive(self._key)

    def _of(self, root: str) -> AESGCM:
        if root not in self._roots:
            self._roots[root] = AESGCM(self._derive(b"root " + bytes.fromhex(root)))
        return self._roots[root]

    def name(self, key: PartKey) -> str:
        return hmac.digest(self._names, f"{key.hash}.{key.part.value}".encode(), "sha256").hex() + self.suffix

    def wrap(self, name: str, root: BlockHash, data: bytes) -> bytes:
        cut = 8 + int.from_bytes(data[:8], "little")
        head = _seal(self._of(root), data[:cut], f"header {name} {root}")
        body = _seal(self._of(root), data[cut:], f"tensors {name} {root}")
        whose = _seal(self._heads, bytes.fromhex(root), f"root {name}")
        return b"".join((MAGIC, len(head).to_bytes(4, "little"), whose, head, body))

    def unwrap(self, name: str, wrapped: bytes) -> bytes:
        root, size = self._prefix(name, wrapped[:_PREFIX])
        cut = _PREFIX + size
        head = _open(self._of(root), wrapped[_PREFIX:cut], f"header {name} {root}")
        return head + _open(self._of(root), wrapped[cut:], f"tensors {name} {root}")

    def beginning(self, name: str, file: BinaryIO) -> bytes:
        root, size = self._prefix(name, file.read(_PREFIX))
        return _open(self._of(root), file.read(size), f"header {name} {root}")

    def _prefix(self, name: str, prefix: bytes) -> tuple[str, int]:
        """Whose it is, and how long the header's piece is."""
        size = int.from_bytes(prefix[len(MAGIC) : -_ROOT], "little")
        if len(prefix) < _PREFIX or not prefix.startswith(MAGIC) or size > _MAX_PIECE:
            raise CorruptBlock("it is not a sealed block")
        return _open(self._heads, prefix[-_ROOT:], f"root {name}").hex(), size

    def wrap_note(self, note: bytes) -> bytes:
        return _seal(self._notes, note, "note")

    def unwrap_note(self, wrapped: bytes | memoryview) -> bytes:
        return _open(self._notes, wrapped, "note")


def _seal(cipher: AESGCM, data: bytes, bound_to: str) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, data, bound_to.encode())


def _open(cipher: AESGCM, piece: bytes | memoryview, bound_to: str) -> bytes:
    if len(piece) < _NONCE + _TAG:
        raise CorruptBlock("a sealed piece is cut off")
    try:
        return cipher.decrypt(piece[:_NONCE], piece[_NONCE:], bound_to.encode())
    except InvalidTag:
        raise CorruptBlock("a sealed piece does not open: it is damaged, or lies under another's name") from None
