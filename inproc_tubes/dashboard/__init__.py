"""A status page of a broker, for your own server. Needs the extra ``dashboard``.

from starlette.applications import Starlette
from starlette.routing import Mount
from inproc_tubes.dashboard import app

server = Starlette(routes=[Mount("/tubes", app(broker))])
"""

from inproc_tubes.extras import from_extra

with from_extra("dashboard"):
    from .application import app

__all__ = ["app"]
