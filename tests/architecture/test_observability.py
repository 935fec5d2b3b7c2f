"""The page on observability names what the code tells: metrics, spans' attributes, settings of the gateway."""

import re
from pathlib import Path

from pydantic import AliasChoices
from sagitta_gateway.config import GatewaySettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text()


def quoted(pattern: str, *globs: str) -> set[str]:
    """The strings of that form in the source."""
    texts = [path.read_text() for part in globs for path in sorted(ROOT.glob(part))]
    assert texts
    return {name for text in texts for name in re.findall(f'"({pattern})"', text)}


def test_every_metric_is_explained() -> None:
    names = quoted("sagitta_[a-z_]+", "server/sagitta_server/**/metrics.py", "gateway/sagitta_gateway/metrics.py")
    assert len(names) > 10
    missing = [name for name in names if name not in PAGE and name.rpartition("_")[2] not in {"waiting", "slots"}]
    assert missing == []


def test_every_attribute_of_our_own_is_explained() -> None:
    names = quoted(
        r"sagitta\.[a-z_.]+", "server/sagitta_server/observability/tracing/*.py", "gateway/sagitta_gateway/spans.py"
    ) - {"sagitta.tracing"}  # a logger
    assert len(names) > 8
    assert [name for name in sorted(names) if name not in PAGE] == []


def test_every_setting_of_the_gateway_says_what_it_is_for_and_is_documented() -> None:
    table = (ROOT / "docs" / "configuration.md").read_text()
    for name, field in GatewaySettings.model_fields.items():
        assert field.description, name
        alias = field.validation_alias
        variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"SAGITTA_GATEWAY_{name.upper()}"
        assert f"`{variable}`" in table
