"""The campaigns of a program with their templates: all that is needed to write any message."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from loyalty.errors import Faults, LoyaltyError
from loyalty.mail.templates import Templates
from loyalty.model.catalog import Catalog, Value
from loyalty.model.mail import Campaign, Mail, Manner
from loyalty.model.program import Program


class Campaigns:
    """A program's campaigns, ready to be written; Faults lists all that is wrong with their templates.

    ``folder`` is that of program.yaml, beside which the program may have templates of its own.
    """

    def __init__(self, program: Program, catalog: Catalog, folder: Path | None) -> None:
        self.program, self.catalog = program, catalog
        self._manners = {one.name: program.mail.manner_of(one) for one in program.mail.campaigns}
        self._quiet = [(one, self._manners[one.name].quiet_hours) for one in program.mail.campaigns]
        own = _own_templates(program.mail, folder)
        self.templates = Templates([one.folder for one in program.mail.campaigns], program.mail.default_locale, own)
        faults = list(self._unknown_values())
        if faults:
            raise Faults(dict.fromkeys(faults))

    @property
    def mail(self) -> Mail:
        """What the program says of mail."""
        return self.program.mail

    def named(self, name: str) -> Campaign:
        """The campaign of this name."""
        found = next((one for one in self.mail.campaigns if one.name == name), None)
        if found is None:
            known = ", ".join(one.name for one in self.mail.campaigns) or "none: program.yaml has no mail.campaigns"
            raise LoyaltyError(f"{name!r} is no campaign; known: {known}")
        return found

    def manner_of(self, campaign: Campaign) -> Manner:
        """How this campaign speaks, found out once."""
        return self._manners[campaign.name]

    def values(self, campaign: Campaign) -> dict[str, Value]:
        """The values that its templates ask for, by the names that they have for them."""
        return {name: self.catalog.value(name) for name in self.templates.asked[campaign.folder]}

    def may_go(self, now: datetime) -> tuple[Campaign, ...]:
        """The campaigns that are not held by quiet hours at this time of the program's zone."""
        return tuple(one for one, quiet in self._quiet if quiet is None or not quiet.hold(now.time()))

    def _unknown_values(self) -> Iterator[str]:
        for asked in self.templates.asked.values():
            for name, place in asked.items():
                try:
                    self.catalog.value(name)
                except LoyaltyError as error:
                    yield f"{place}: {error}"


def _own_templates(mail: Mail, folder: Path | None) -> Path | None:
    if mail.templates is None:
        return None
    own = (folder or Path()) / mail.templates
    if not own.is_dir():
        raise LoyaltyError(f"mail.templates: {own} is no folder; it is looked for beside program.yaml")
    return own
