"""What the warm path is compared with: the least an aiohttp server can do with a JSON body over the same TLS settings."""

import ssl
import sys

from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """Decode the body and send it back."""
    return web.json_response(await request.json())


def main() -> None:
    """Serve on `argv[1]` with certificate `argv[2]` and key `argv[3]`, as the webhook does."""
    port, certificate, key = sys.argv[1:4]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/echo", echo)
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=context, print=None, access_log=None)


if __name__ == "__main__":
    main()
