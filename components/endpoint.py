"""Endpoint: how an application is reached from outside its pods."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components._base import Component, Identity
from components._entry import callers_policy, entry_meta
from components._kubernetes import KubernetesObject
from components._metrics import service_annotations
from planner.plan import ScrapePlan

__all__ = ["Endpoint", "EndpointArgs"]


@dataclass(frozen=True, kw_only=True)
class EndpointArgs:
    """What an endpoint is given.

    Attributes:
        identity: stack and namespace.
        application: name of the application; also the Service's name.
        type: ``LoadBalancer`` or ``ClusterIP``.
        port: port of the Service.
        target_port: port that the application's pods listen on.
        auth: ``api-key`` or ``none``; stands as a label, for people. Policies look at what the pods are given.
        create: false where a Service of that name exists already and stays as it is.
        scrape: who collects the application's metrics; None for nobody.
    """

    identity: Identity
    application: str
    type: str
    port: int
    target_port: int
    auth: str
    create: bool = True
    scrape: ScrapePlan | None = None


class Endpoint(Component):
    """Service of an application and the NetworkPolicy that lets its callers in.

    Outputs:
        host: address within the cluster, ``name.namespace``.
        port: port of the Service.
    """

    host: pulumi.Output[str]
    port: int

    def __init__(self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts=opts)
        identity, application = args.identity, args.application
        policy = callers_policy(self, identity, application, port=args.target_port)
        if args.create:
            self._service(args, policy)
        self.host = pulumi.Output.from_input(f"{application}.{identity.namespace}")
        self.port = args.port
        self.register_outputs({"host": self.host, "port": self.port})

    def _service(self, args: EndpointArgs, policy: pulumi.Resource) -> None:
        annotations = service_annotations(args.scrape, port=args.target_port)
        KubernetesObject(
            "v1", "Service",
            args.application,
            metadata=entry_meta(args.identity, args.application, auth=args.auth, annotations=annotations),
            spec={
                "type": args.type,
                "selector": args.identity.selector(args.application),
                "ports": [{"name": "http", "port": args.port, "targetPort": args.target_port, "protocol": "TCP"}],
            },
            opts=self.child(depends_on=[policy]),
        )
