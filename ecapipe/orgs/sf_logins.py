"""The logins of the Salesforce CLI."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ecapipe.events import NamedBy
from ecapipe.orgs.org import Org, same_id


@dataclass(frozen=True, slots=True)
class SfLogin:
    """A login of the Salesforce CLI; each username has one. `instance_url` has no slash at its end; it and `org_id`
    are empty where the Salesforce CLI does not know them; `named_by` is the tree where its files lie in that."""

    username: str
    org_id: str
    instance_url: str
    aliases: tuple[str, ...] = ()
    dev_hub: bool = False
    method: str = ""
    """How it was logged in to, in the words of the Salesforce CLI: web (with a refresh token), jwt, token."""
    named_by: NamedBy = "salesforceCli"

    @property
    def whole(self) -> bool:
        """Whether it names its org: a broken login does not."""
        return bool(self.org_id and self.instance_url)

    def leads_to(self, org: Org, *, by_alias: bool = False) -> bool:
        """Whether it is a login to the very org, by address, or `by_alias` where the user gave that to the address:
        an alias may mean another org to somebody else, and an id that a tree gives to an address, too."""
        named = by_alias and org.paired_by == "user" and org.alias in self.aliases
        return (named or self.instance_url.lower() == org.url) and same_id(self.org_id, org.org_id or self.org_id)

    @property
    def host(self) -> str:
        """With a port that is not the usual one; empty for what is no URL."""
        try:
            return urlsplit(self.instance_url).netloc.lower().removesuffix(":443")
        except ValueError:
            return ""
