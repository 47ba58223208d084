# SPDX-License-Identifier: MIT
"""Reads a page of HTML strictly: every tag is closed where it should be, and nothing is outside."""

from html.parser import HTMLParser

VOID = {"meta"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children = []  # elements, and text between them

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def all(self, tag=None, classes=None):
        """The elements beneath, in order, of a tag, and with such a class."""
        for child in self.children:
            if isinstance(child, str):
                continue
            found = set(child.attributes.get("class", "").split())
            if tag in (None, child.tag) and (classes is None or classes in found):
                yield child
            yield from child.all(tag, classes)

    def one(self, tag=None, classes=None):
        (found,) = self.all(tag, classes)
        return found


class Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.open = Element(None, {}, None)

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {self.get_starttag_text()}"
        element = Element(tag, dict(attrs), self.open)
        self.open.children.append(element)
        if tag not in VOID:
            self.open = element

    def handle_startendtag(self, tag, attrs):
        raise AssertionError(f"no tag of HTML: {self.get_starttag_text()}")

    def handle_endtag(self, tag):
        assert tag == self.open.tag, f"</{tag}> in <{self.open.tag}>"
        self.open = self.open.parent

    def handle_data(self, data):
        self.open.children.append(data)

    def handle_decl(self, decl):
        assert decl == "DOCTYPE html" and not self.root.children

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    handle_pi = unknown_decl = handle_comment


def read(path):
    """The root of what is in a file."""
    reader = Reader()
    reader.feed(path.read_bytes().decode())  # which is strict about UTF-8
    reader.close()
    assert reader.open is reader.root, f"<{reader.open.tag}> is not closed"
    return reader.root
