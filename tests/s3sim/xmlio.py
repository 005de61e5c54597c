# SPDX-License-Identifier: Apache-2.0
"""XML in and out.

A tree is written as (name, value) pairs, where a value is a list of pairs,
text, a number or a bool; None leaves the element out.  Invariant: text that
XML 1.0 cannot hold leaves as a character reference, as S3 sends it.
"""

import re
import xml.etree.ElementTree as ElementTree

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
SPECIAL = re.compile(r'[&<>"\x00-\x08\x0b-\x1f]')
NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text):
    return SPECIAL.sub(
        lambda m: NAMED.get(m[0]) or "&#x%x;" % ord(m[0]), text)


def element(name, value):
    if value is None:
        return ""
    if isinstance(value, list):
        inner = "".join(element(*pair) for pair in value)
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def document(name, rows, namespace=True):
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    inner = "".join(element(*pair) for pair in rows)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<{name}{attribute}>{inner}</{name}>").encode()


def parse(data, root_name):
    """The root element with namespaces removed, or None if it is not XML
    with that root."""
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return None
    for node in root.iter():
        node.tag = node.tag.rpartition("}")[2]
    return root if root.tag == root_name else None
