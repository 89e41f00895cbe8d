"""A status page of a broker, for your own server. Needs the extra ``dashboard``.

from starlette.applications import Starlette
from starlette.routing import Mount
from inproc_tubes.dashboard import app

server = Starlette(routes=[Mount("/tubes", app(broker))])
"""

from .application import app

__all__ = ["app"]
