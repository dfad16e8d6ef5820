"""Who did what."""

from flask import Blueprint

from app.access import may
from app.inputs import PAGE, page, query, text
from app.models import AuditEntry, User

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


def shown(entry):
    return {"actor": entry.actor.username, "action": entry.action, "subject": entry.subject}


@blueprint.get("")
@may("audit.read")
def entries():
    wanted = query(action=text(r"[a-z.]{1,40}"), **PAGE)
    rows = AuditEntry.select(AuditEntry, User).join(User).order_by(AuditEntry.id.desc())
    if "action" in wanted:
        rows = rows.where(AuditEntry.action == wanted["action"])
    return page(rows, wanted, shown)
