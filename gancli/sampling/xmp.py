"""XMP packets (ISO 16684-1): named properties as the RDF/XML that picture files carry, and back."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from gancli.errors import FileFormatError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "TC260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    "gancli": "urn:gancli:mark:1:",
}
"""Prefixes of the properties that are written and read."""
MAX_BYTES = 2**20
"""A longer packet is not read."""
NOT_IN_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
Value = str | tuple[str, ...]


def packet(properties: Mapping[str, Value]) -> bytes:
    """An XMP packet, UTF-8, of properties such as ``xmp:CreatorTool``; equal properties give equal bytes.

    A tuple becomes an ordered array. A character that XML does not allow becomes U+FFFD.
    """
    used = {name.partition(":")[0] for name in properties}
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix in used)
    lines = "".join(f"  <{name}>{_value(value)}</{name}>\n" for name, value in properties.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n<rdf:RDF xmlns:rdf="{RDF}">\n'
        f' <rdf:Description rdf:about=""{spaces}>\n{lines} </rdf:Description>\n'
        '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="r"?>'
    ).encode()


def _value(value: Value) -> str:
    if isinstance(value, str):
        return escape(NOT_IN_XML.sub("\ufffd", value))
    return f"<rdf:Seq>{''.join(f'<rdf:li>{_value(each)}</rdf:li>' for each in value)}</rdf:Seq>"


def properties_in(content: bytes) -> dict[str, Value]:
    """The properties of a packet whose namespaces are among `NAMESPACES`; others are left out.

    Raises FileFormatError for a packet that is too long, is no XML, or declares entities.
    """
    try:
        text = content.decode("utf-8-sig").strip("\0 \n")
        if len(content) > MAX_BYTES or "<!" in re.sub("<!--.*?-->", "", text, flags=re.DOTALL):
            raise FileFormatError("its XMP is too long, or declares what a mark never does; it was not read.")
        root = ET.fromstring(text)
    except (UnicodeDecodeError, ET.ParseError, ValueError) as error:
        raise FileFormatError(f"its XMP cannot be read ({' '.join(str(error).split())}).") from error
    return {
        f"{prefix}:{name}": value
        for uri, name, value in _all_properties(root)
        for prefix, known in NAMESPACES.items()
        if uri == known
    }


def _all_properties(root: ET.Element) -> Iterator[tuple[str, str, Value]]:
    """Namespace, name and value of each property, whether written as an element or as an attribute."""
    for description in root.iter(f"{{{RDF}}}Description"):
        for tag, value in description.attrib.items():
            yield *_split(tag), value
        for each in description:
            items = each.findall(f"./*/{{{RDF}}}li")
            yield *_split(each.tag), tuple(item.text or "" for item in items) if len(each) else each.text or ""


def _split(tag: str) -> tuple[str, str]:
    uri, _, name = tag.rpartition("}")
    return uri.removeprefix("{"), name
