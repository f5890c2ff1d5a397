"""The console's settings, besides those of every process."""

from __future__ import annotations

from pydantic import Field

from libs.common.settings import PORT_OFFSETS, Settings


class ConsoleSettings(Settings):
    """`LIANGBU_CONSOLE_SECRET` has no default: sessions signed with a known secret could be forged."""

    console_secret: str = Field(default="", description="signs the session cookie; at least 32 characters")
    console_https: bool = Field(default=False, description="the cookie travels over TLS only; on wherever TLS is")
    services_url: str = Field(
        default="", description="where services are, e.g. `http://{service}:{port}`; empty: services_host and ports"
    )
    demo_signing_key: str = Field(
        default="", description="PEM of the embedded issuer's private key: lets anyone sign in in any role; demos only"
    )

    def url_of(self, service: str) -> str:
        port = self.port + PORT_OFFSETS[service]
        return (self.services_url or f"http://{self.services_host}:{port}").format(service=service, port=port)
