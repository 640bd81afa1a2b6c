"""The floor that pages stand on: layout, assets, who is looking, and how a part with pages is hung into the gateway.

Below gateway, inspector and dashboard, above core. Knows no web framework and no store.
"""

from ringback.pages.asking import Inside, Told
from ringback.pages.assets import ASSETS_PATH, Asset
from ringback.pages.book import PAGE_HEADERS, Link, Pages
from ringback.pages.mounting import Mount
from ringback.pages.paging import BACK, CURSOR, Pager, pager
from ringback.pages.sessions import FORM_TOKEN_FIELD, FORM_TOKEN_HEADER, Sessions
from ringback.pages.visitor import THEME_COOKIE, Visitor, place_visitor, visitor_of
from ringback.pages.warming import warm

__all__ = [
    "ASSETS_PATH",
    "BACK",
    "CURSOR",
    "FORM_TOKEN_FIELD",
    "FORM_TOKEN_HEADER",
    "PAGE_HEADERS",
    "THEME_COOKIE",
    "Asset",
    "Inside",
    "Link",
    "Mount",
    "Pager",
    "Pages",
    "Sessions",
    "Told",
    "Visitor",
    "pager",
    "place_visitor",
    "visitor_of",
    "warm",
]
