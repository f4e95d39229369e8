"""Google Cloud Text-to-Speech, the engine of Chen et al. 2021, through its REST interface (v1)."""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import json
import os
import urllib.error
import urllib.request

import numpy as np

from ....errors import VivavoceError
from . import UnavailableError, primary
from .recordings import checked, read_sound
from .spelling import refuse_unsayable

ENDPOINT = "https://texttospeech.googleapis.com/v1/text:synthesize"
KEY = "GOOGLE_TTS_API_KEY"
"""Environment variable with an API key that may use the service. Each word is one paid request."""
RATE = 24_000
TIMEOUT = 30


class GoogleCloud:
    """Words by a voice of Google Cloud."""

    def __init__(self, key: str, language: str, voice: str | None, endpoint: str = ENDPOINT) -> None:
        self._key = key
        self._language = language
        self._voice = voice
        self._endpoint = endpoint

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak a word. See `Engine.say`."""
        refuse_unsayable(word, "Google Cloud", english=primary(self._language) == "en")
        voice = {"languageCode": self._language} | ({"name": self._voice} if self._voice else {})
        answer = self._ask({
            "input": {"text": word},
            "voice": voice,
            "audioConfig": {"audioEncoding": "LINEAR16", "sampleRateHertz": RATE},
        })  # fmt: skip
        try:
            sound = base64.b64decode(answer["audioContent"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            raise VivavoceError(f"Google Cloud answered without sound for {word!r}") from None
        where = f"{word!r} said by Google Cloud"
        return checked(*read_sound(io.BytesIO(sound), where), where)

    def recipe(self) -> dict[str, str | int | float]:
        """Engine, interface, language and voice. See `Engine.recipe`."""
        voice = self._voice or "default of the language"
        return {"engine": "google", "version": "v1", "language": self._language, "voice": voice}

    def _ask(self, question: dict) -> dict:
        request = urllib.request.Request(
            self._endpoint,
            data=json.dumps(question).encode(),
            headers={"Content-Type": "application/json; charset=utf-8", "X-Goog-Api-Key": self._key},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise VivavoceError(f"Google Cloud refused ({error.code}): {_reason(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise VivavoceError(f"Google Cloud could not be reached ({reason})") from None
        except ValueError:
            raise VivavoceError("Google Cloud answered with something that is not JSON") from None


def _reason(error: urllib.error.HTTPError) -> str:
    """The message of an error answer, on one line."""
    try:
        return " ".join(json.load(error)["error"]["message"].split())
    except (ValueError, KeyError, TypeError, AttributeError):
        return error.reason


def open_engine(language: str, voice: str | None) -> GoogleCloud:
    """Open the service.

    Raises:
        UnavailableError: no key in the environment.
    """
    key = os.environ.get(KEY)
    if not key:
        raise UnavailableError(f"Google Cloud needs an API key; put it into the environment variable {KEY}")
    code = language.replace("_", "-")
    return GoogleCloud(key, "en-US" if code.lower() == "en" else code, voice, ENDPOINT)
