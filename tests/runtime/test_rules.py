"""Packet rules as text, and their arguments."""

import pytest

from kaiki.runtime.redirect import RedirectError, main, parse_arguments
from kaiki.runtime.rules import Capture, Mark, UserId, as_text, capture_table

MARKED = """\
table inet kaiki {
  chain outbound {
    type nat hook output priority -100; policy accept;
    ip saddr 127.0.0.6 return
    ip6 saddr ::6 return
    oifname "lo" ip daddr != 127.0.0.0/8 meta mark 1337 tcp dport != 15008 redirect to :15006
    meta mark 1337 return
    oifname "lo" return
    tcp dport 15012 return
    meta l4proto tcp redirect to :15001
  }
  chain inbound {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" return
    tcp dport 15020 return
    tcp dport 15021 return
    tcp dport 15090 return
    meta l4proto tcp redirect to :15006
  }
}
"""


def test_capture_by_mark() -> None:
    assert as_text(capture_table(Capture(exclude_outbound_ports=(15012,)))) == MARKED


def test_capture_by_user_differs_in_the_exclusion_only() -> None:
    text = as_text(capture_table(Capture(UserId(1337), exclude_outbound_ports=(15012,))))
    assert text == MARKED.replace("meta mark 1337", "meta skuid 1337")


def test_arguments() -> None:
    arguments = ["--exclude=uid", "--exclude-outbound-ports=15012,6379", "--exclude-inbound-ports", "22"]
    capture, only_print = parse_arguments(arguments)
    assert capture == Capture(UserId(1337), (15012, 6379), (22,)) and not only_print


def test_ranges() -> None:
    capture, _ = parse_arguments(
        ["--include-outbound-ip-ranges=10.0.0.0/8", "--exclude-outbound-ip-ranges=10.1.0.0/16"]
    )
    text = as_text(capture_table(capture))
    assert "ip daddr 10.1.0.0/16 return" in text
    assert "ip daddr 10.0.0.0/8 meta l4proto tcp redirect to :15001" in text
    assert capture.exclude == Mark(1337)


def test_what_is_included() -> None:
    """Istio's lists: `*` is everything, an empty one nothing; a port counts whatever the address."""
    nothing, _ = parse_arguments(["--include-outbound-ip-ranges=", "--include-inbound-ports="])
    text = as_text(capture_table(nothing))
    assert "redirect to :15001" not in text
    assert text.count("redirect to :15006") == 1  # a pod that calls its own service
    some, _ = parse_arguments(
        ["--include-outbound-ports=3306", "--exclude-outbound-ip-ranges=10.0.0.0/8", "--include-inbound-ports=80,443"]
    )
    text = as_text(capture_table(some))
    assert text.index("tcp dport 3306 redirect to :15001") < text.index("ip daddr 10.0.0.0/8 return")
    assert "tcp dport 443 redirect to :15006" in text
    assert "meta l4proto tcp redirect to :15006" not in text
    everything, _ = parse_arguments(["--include-outbound-ip-ranges=*", "--include-inbound-ports=*"])
    assert capture_table(everything) == capture_table(Capture())


@pytest.mark.parametrize(
    "argument", ["--exclude=x", "--exclude-outbound-ports=99999", "--exclude-outbound-ip-ranges=x"]
)
def test_wrong_arguments_are_named(argument: str) -> None:
    with pytest.raises(RedirectError, match="redirect: "):
        parse_arguments([argument])


def test_printing_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print", "--exclude-outbound-ports=15012"]) == 0
    assert capsys.readouterr().out == MARKED
