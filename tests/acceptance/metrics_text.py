"""Reads Prometheus' text format 0.0.4, strictly enough for tests."""
import math
import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.types = {}
        self.help = {}
        self.samples = {}  # (name, frozenset of label pairs) -> value
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                assert name not in self.types, f"{name} is there twice"
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, words = line.split(" ", 3)
                self.help[name] = words
            elif line:
                found = SAMPLE.match(line)
                assert found, line
                labels = frozenset(LABEL.findall(found[2] or ""))
                key = (found[1], labels)
                assert key not in self.samples, f"{line} is there twice"
                self.samples[key] = float(found[3].replace("Inf", "inf").replace("Nan", "nan"))

    def get(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def has(self, name, **labels):
        return (name, frozenset(labels.items())) in self.samples

    def of(self, name):
        """All series of a name, as [(labels, value)]."""
        return [(dict(labels), value) for (one, labels), value in self.samples.items() if one == name]

    def sum(self, name, **labels):
        return sum(value for found, value in self.of(name) if labels.items() <= found.items())

    def label_values(self):
        return {(name, label) for _, labels in self.samples for name, label in labels}

    def check_histogram(self, name, **labels):
        """Cumulative, ends with the count."""
        buckets = sorted((math.inf if found["le"] == "+Inf" else float(found["le"]), value)
                         for found, value in self.of(name + "_bucket")
                         if {k: v for k, v in found.items() if k != "le"} == labels)
        assert buckets and buckets[-1][0] == math.inf, (name, labels)
        counts = [value for _, value in buckets]
        assert counts == sorted(counts), (name, labels, buckets)
        assert counts[-1] == self.get(name + "_count", **labels)
        return [bound for bound, _ in buckets]


def scrape(server, key=None):
    answer = server.call("GET", "/metrics", key=key)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())
