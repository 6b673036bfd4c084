"""A site folder: what its YAML and CSV files say, read and checked.

site.yaml      id, name, time_zone, currency, language, broker, adopt_unknown
spaces.yaml    buildings, zones, units (area in m2)
devices.csv    or devices.yaml: id, name, class, profile, address, space, interval_s, parameters
topology.yaml  what feeds what: power, water, network
rules.yaml     rules, over the shipped defaults
plans.yaml     schedules
tariffs.yaml   price plans and public shares
people.yaml    logins, roles, contacts

Only site.yaml must be there.
"""

from dutyroom.site.folder import load_site, read_site
from dutyroom.site.model import BrokerAddress, Site, Space
from dutyroom.site.source import FILES

__all__ = ["FILES", "BrokerAddress", "Site", "Space", "load_site", "read_site"]
