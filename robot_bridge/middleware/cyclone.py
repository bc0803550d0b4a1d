"""Configuration of Cyclone DDS for one network interface, the same for both transports."""

from __future__ import annotations

LOOPBACK = "lo"


def configuration(interface: str) -> str:
    """As ``CYCLONEDDS_URI`` takes it; the loopback interface has no multicast, so that neighbours are asked one by one."""
    multicast = "false" if interface == LOOPBACK else "default"
    peers = '<Peers><Peer Address="localhost"/></Peers>' if interface == LOOPBACK else ""
    return (
        f'<CycloneDDS><Domain id="any"><General><Interfaces><NetworkInterface name="{interface}"/></Interfaces>'
        f"<AllowMulticast>{multicast}</AllowMulticast></General>"
        f"<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>{peers}</Discovery>"
        "</Domain></CycloneDDS>"
    )
