"""Pictures drawn for people: as files beside a line that says what they are and who made them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

import structlog

from core.conversation.turn import Turn
from core.errors import ModelError, ModelFault
from core.models.images import Painter
from core.models.own_wires import OwnKeyError
from core.models.paying import OverBudget
from core.models.pool import Busy
from core.models.wire import ImageRequest
from core.parts import Activity, Ending, Finished, Making, Notice, Part
from core.texts import one_line

log = structlog.get_logger()

LONGEST_SHOWN = 300
"""Characters of a prompt that are shown with its pictures."""
DONE = Finished(Ending.COMPLETE)


class Painting:
    """Draws pictures."""

    def __init__(self, painter: Painter) -> None:
        self._painter = painter

    @property
    def is_set_up(self) -> bool:
        """Whether there is a model for it."""
        return self._painter.is_set_up

    async def drawn(self, turn: Turn, request: ImageRequest) -> AsyncGenerator[Part]:
        """The pictures, or a notice why there are none; the last part is Finished, with what drawing them took."""
        yield Making(Activity.PHOTO)
        try:
            painted = await self._painter.paint(request, space=turn.share, payer=turn.payer)
        except Busy as busy:
            yield busy.notice()
            yield DONE
            return
        except OverBudget as over:
            yield over.notice()
            yield DONE
            return
        except OwnKeyError as error:
            yield error.notice()
            yield DONE
            return
        except ModelError as error:
            log.warning("no picture drawn", turn=turn.id, cause=str(error))
            yield Notice("image_refused" if error.fault is ModelFault.FILTERED else "not_drawn")
            yield DONE
            return
        yield Notice("drawn", {"prompt": one_line(request.prompt, LONGEST_SHOWN), "model": painted.usage.model})
        for picture in painted.pictures:
            yield replace(picture, description=request.prompt)
        for notice in painted.notices:
            yield notice
        yield Finished(Ending.COMPLETE, painted.usage)
