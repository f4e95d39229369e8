"""The program that says one word by espeak-ng's library; started by `espeak.py`, never imported.

Arguments: the folder with the library and its data, and the voice. The word comes on standard input. The
sound goes to standard output: a line of JSON, {"rate": samples per second}, and 16-bit samples.
"""

import ctypes
import json
import sys
from pathlib import Path

SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
LIBRARIES = {"win32": "espeak-ng.dll", "darwin": "libespeak-ng.dylib"}


def main() -> None:
    """Say the word."""
    folder, voice = Path(sys.argv[1]), sys.argv[2]
    library = ctypes.CDLL(str(folder / LIBRARIES.get(sys.platform, "libespeak-ng.so")))
    # The path it takes is that of the folder which holds `espeak-ng-data`, or of the data themselves.
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, str(folder / "espeak-ng-data").encode(), DO_NOT_EXIT)
    if rate <= 0:
        sys.exit("its data could not be loaded")
    if library.espeak_SetVoiceByName(voice.encode()):
        sys.exit(f"it has no voice {voice!r}")
    sound = synthesize(library, sys.stdin.buffer.read())
    sys.stdout.buffer.write(json.dumps({"rate": rate}).encode() + b"\n" + sound)


def synthesize(library: ctypes.CDLL, word: bytes) -> bytes:
    """Return 16-bit samples of a word in UTF-8."""
    sound = bytearray()
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

    def receive(samples, count, _events):
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        return 0

    callback = kind(receive)
    library.espeak_SetSynthCallback(callback)
    size, flag = ctypes.c_size_t, ctypes.c_uint
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, size, flag, ctypes.c_int, flag, flag, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    if library.espeak_Synth(word, len(word) + 1, 0, 1, 0, UTF8, None, None):
        sys.exit("it refused the word")
    library.espeak_Synchronize()
    return bytes(sound)


if __name__ == "__main__":
    main()
