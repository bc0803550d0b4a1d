"""The configuration of Cyclone DDS for one network interface, which both transports share."""

from __future__ import annotations

LOOPBACK = "lo"


def configuration(interface: str, max_sample_bytes: int | None = None) -> str:
    """The value for the environment variable ``CYCLONEDDS_URI``.

    The loopback interface has no multicast, so there discovery asks the other processes one by one.

    Args:
        interface: the network interface.
        max_sample_bytes: largest message that is sent or received at all; None for Cyclone's own limit of 2 GiB. It holds for
            all topics of a process, so nodes that also carry images need none.
    """
    multicast = "false" if interface == LOOPBACK else "default"
    peers = '<Peers><Peer Address="localhost"/></Peers>' if interface == LOOPBACK else ""
    limit = "" if max_sample_bytes is None else f"<Internal><MaxSampleSize>{max_sample_bytes} B</MaxSampleSize></Internal>"
    return (
        f'<CycloneDDS><Domain id="any"><General><Interfaces><NetworkInterface name="{interface}"/></Interfaces>'
        f"<AllowMulticast>{multicast}</AllowMulticast></General>"
        f"<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>{peers}</Discovery>"
        f"{limit}"
        "</Domain></CycloneDDS>"
    )
