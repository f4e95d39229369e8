"""SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from ..text import encodable, plain

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    rule: str
    name: str
    message: str
    where: str
    """Path of the model, relative to where the command ran."""
    level: Literal["error", "warning"] = "error"

    @property
    def fingerprint(self) -> str:
        """The same for the same row of the same file, whatever its figures."""
        whole = encodable(f"{self.rule} {self.where} {self.name}")
        return hashlib.sha256(whole.encode()).hexdigest()


def document(findings: Iterable[Finding], rules: Mapping[str, str]) -> str:
    """The findings as a file.

    Args:
        findings: what is wrong.
        rules: every kind of finding, in words.
    """
    described = [{"id": name, "shortDescription": {"text": text}} for name, text in rules.items()]
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": list(rules).index(finding.rule),
            "level": finding.level,
            "message": {"text": plain(finding.message)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _address(finding.where)},
                        "region": {"startLine": 1},
                    }
                }
            ],
            "partialFingerprints": {"vivavoce/v1": finding.fingerprint},
        }
        for finding in findings
    ]
    driver = {"name": "vivavoce", "version": version("vivavoce"), "rules": described}
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=1) + "\n"


def _address(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path))
