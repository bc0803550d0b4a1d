"""The configuration of Cyclone DDS for one network interface, which both transports share."""

from __future__ import annotations

LOOPBACK = "lo"


def configuration(interface: str) -> str:
    """The value for the environment variable ``CYCLONEDDS_URI``.

    The loopback interface has no multicast, so there discovery asks the other processes one by one.
    """
    multicast = "false" if interface == LOOPBACK else "default"
    peers = '<Peers><Peer Address="localhost"/></Peers>' if interface == LOOPBACK else ""
    return (
        f'<CycloneDDS><Domain id="any"><General><Interfaces><NetworkInterface name="{interface}"/></Interfaces>'
        f"<AllowMulticast>{multicast}</AllowMulticast></General>"
        f"<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>{peers}</Discovery>"
        "</Domain></CycloneDDS>"
    )
