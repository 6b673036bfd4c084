"""MQTT: the broker sessions of a site, and a publisher.

session     one persistent session: connecting, subscribing, what the broker refuses
subscriptions  what it is subscribed to, and what it was
inbound     several sessions of a site as one: the priority lane first, then the others in turn
client      paho, reading in its own way; bulk: reading in bulk, with splitter and properties
waiting     what came and was not taken yet; link: what an acknowledgement belongs to
security    passwords and certificates; backoff: when to try again
selftest    what a broker does with what we do not take at once
"""

from dutyroom.backends.mqtt.inbound import MqttInbound
from dutyroom.backends.mqtt.publisher import MqttPublisher
from dutyroom.backends.mqtt.session import MqttSession
from dutyroom.site.filters import covers

__all__ = ["MqttInbound", "MqttPublisher", "MqttSession", "covers"]
