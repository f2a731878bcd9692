"""In whose name the models of an order are asked, found anew when it is made: no secret waits in a queue."""

from __future__ import annotations

from core.creations.doing import PayerOf
from core.creations.order import Order
from core.models.paying import Payer
from core.people import own_keys
from core.people.community import Community


def payers(community: Community) -> PayerOf:
    """The payer of an order, with the keys that the person has by then."""

    async def payer_of(order: Order) -> Payer:
        person = await community.people.of(order.account)
        own = own_keys.opened(person, community.sealing)
        return Payer(person.id, order.space, order.name, own, person.key_shares)

    return payer_of
