"""Every address of the panel, and the permission it needs: what is not here does not exist."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from admin_ui.auth import Accounts
from admin_ui.desk import Door
from admin_ui.live import live, socket, ticket
from admin_ui.look import furnish
from admin_ui.pages import (
    audit,
    conversation,
    customers,
    home,
    inbox,
    joining,
    privacy,
    reports,
    security,
    settings,
    stores,
    team,
    work,
)
from admin_ui.pages.landing import landing
from admin_ui.pages.link import link
from admin_ui.recovery import Recovery
from admin_ui.single_sign_on import SingleSignOn
from plugin.app import App
from plugin.kernel.web import Web
from plugin.team import Permission


def routes(app: App, web: Web) -> list[BaseRoute]:
    """The landing page, the ways in, and each page of the panel stand-alone and inside every platform's admin."""
    furnish(web)
    door = Door(app, web)
    read, note, reply = Permission.READ, Permission.NOTE, Permission.REPLY
    people, shops = Permission.MANAGE_CUSTOMERS, Permission.MANAGE_STORES
    crew, house = Permission.MANAGE_TEAM, Permission.MANAGE_WORKSPACE
    duty, out, setting = Permission.MANAGE_PRIVACY, Permission.EXPORT, Permission.MANAGE_SETTINGS
    accounts = Accounts(app, web)
    provider = SingleSignOn(app, accounts)
    return [
        Route("/", landing(app, web), methods=["GET"]),
        *accounts.routes(),
        *provider.routes(),
        *Recovery(accounts).routes(),
        link(app, web),
        *joining.Joining(app, web).routes(),
        privacy.download(app, web),
        audit.download(app),
        reports.download(app),
        socket(app),
        *door.patch_routes(),
        *door.routes("", home.index, read),
        *door.routes("/live", live, read),
        *door.routes("/live/ticket", ticket, read, "POST"),
        *door.routes("/inbox", inbox.inbox, read),
        *door.routes("/inbox/{id}", inbox.opened, read),
        *door.routes("/conversations/{id}/messages", conversation.more, read),
        *door.routes("/conversations/{id}/head", conversation.head, read),
        *door.routes("/conversations/{id}/customer", conversation.customer, read),
        *door.routes("/conversations/{id}/reach", conversation.reach, read),
        *door.routes("/conversations/{id}/read", conversation.read, read, "POST"),
        *door.routes("/conversations/{id}/note", conversation.note, note, "POST"),
        *door.routes("/conversations/{id}/attachments", conversation.attach, note, "POST"),
        *door.routes("/conversations/{id}/reply", conversation.reply, reply, "POST"),
        *door.routes("/conversations/{id}/typing", conversation.typing, reply, "POST"),
        *door.routes("/conversations/{id}/assign", conversation.assign, reply, "POST"),
        *door.routes("/conversations/{id}/status", conversation.turn, reply, "POST"),
        *door.routes("/conversations/{id}/priority", conversation.rank, reply, "POST"),
        *door.routes("/conversations/{id}/subject", conversation.retitle, reply, "POST"),
        *door.routes("/conversations/{id}/tag", conversation.tag, note, "POST"),
        *door.routes("/conversations/{id}/untag", conversation.untag, note, "POST"),
        *door.routes("/changes", inbox.change_many, reply, "POST"),
        *door.routes("/changes/{id}/undo", inbox.undo_many, reply, "POST"),
        *door.routes("/views", inbox.save_view, note, "POST"),
        *door.routes("/views/{id}/forget", inbox.forget_view, note, "POST"),
        *door.routes("/files/{id}", conversation.file_link, read),
        *door.routes("/customers", customers.index, read),
        *door.routes("/customers/{id}", customers.one, read),
        *door.routes("/customers/{id}/timeline", customers.more, read),
        *door.routes("/customers/{id}/candidates", customers.candidates, people),
        *door.routes("/customers/{id}/merge", customers.merge, people, "POST"),
        *door.routes("/customers/{id}/undo-merge", customers.undo_merge, people, "POST"),
        *door.routes("/alerts", stores.banner, read),
        *door.routes("/stores", stores.index, read),
        *door.routes("/stores/moves/{id}", joining.moving, read),
        *door.routes("/stores/moves/{id}/open", joining.enter, house, "POST"),
        *door.routes("/stores/{id}", stores.one, read),
        *door.routes("/stores/{id}/part", joining.parting, house),
        *door.routes("/stores/{id}/part", joining.part, house, "POST"),
        *door.routes("/stores/{id}/check", stores.check, shops, "POST"),
        *door.routes("/stores/{id}/embed", stores.embed, shops, "POST"),
        *door.routes("/stores/{id}/history", stores.read_again, shops, "POST"),
        *door.routes("/stores/{id}/read-on", stores.read_on, shops, "POST"),
        *door.routes("/stores/{id}/replay", stores.replay, shops, "POST"),
        *door.routes("/reports", reports.index, read),
        *door.routes("/reports/export", reports.export_link, out),
        *door.routes("/team", team.index, read),
        *door.routes("/team/invitations", team.invite, crew, "POST"),
        *door.routes("/team/invitations/{id}/withdraw", team.withdraw, crew, "POST"),
        *door.routes("/team/confirm-owner", team.confirm_owner, read, "POST"),
        *door.routes("/team/log", audit.index, crew),
        *door.routes("/team/log/export", audit.export_link, out),
        *door.routes("/team/{id}", team.one, crew),
        *door.routes("/team/{id}/rights", team.save_rights, crew, "POST"),
        *door.routes("/team/{id}/end-sessions", team.end_sessions, crew, "POST"),
        *door.routes("/team/{id}/second-step", team.reset_second_step, crew, "POST"),
        *door.routes("/team/{id}/link", team.invite_link, crew, "POST"),
        *door.routes("/team/{id}/role", team.change_role, crew, "POST"),
        *door.routes("/team/{id}/deactivate", team.deactivate, crew, "POST"),
        *door.routes("/team/{id}/reactivate", team.reactivate, crew, "POST"),
        *door.routes("/settings", settings.index, read),
        *door.routes("/settings/me", settings.save_me, read, "POST"),
        *door.routes("/settings/alerts", settings.save_alerts, shops, "POST"),
        *door.routes("/settings/password", settings.save_password, read, "POST"),
        *door.routes("/settings/workspace", settings.save_workspace, setting, "POST"),
        *door.routes("/settings/security", security.index, read, before_proof=True),
        *door.routes("/settings/security/second-step", security.begin, read, "POST", before_proof=True),
        *door.routes("/settings/security/second-step/confirm", security.confirm, read, "POST", before_proof=True),
        *door.routes("/settings/security/second-step/codes", security.renew, read, "POST"),
        *door.routes("/settings/security/second-step/off", security.off, read, "POST"),
        *door.routes("/settings/security/sessions/end-others", security.end_others, read, "POST"),
        *door.routes("/settings/security/sessions/{id}/end", security.end_session, read, "POST"),
        *door.routes("/settings/security/provider", provider.link, read, "POST"),
        *door.routes("/settings/security/provider/{id}/unlink", security.unlink_provider, read, "POST"),
        *door.routes("/settings/security/stores/{id}/unlink", security.unlink_store, read, "POST"),
        *door.routes("/settings/security/rules", security.save_rules, house, "POST"),
        *door.routes("/settings/work", work.index, read),
        *door.routes("/settings/work/teams", work.new_team, setting),
        *door.routes("/settings/work/teams", work.save_team, setting, "POST"),
        *door.routes("/settings/work/teams/{id}", work.team_page, setting),
        *door.routes("/settings/work/teams/{id}", work.save_team, setting, "POST"),
        *door.routes("/settings/work/teams/{id}/delete", work.delete_team, setting, "POST"),
        *door.routes("/settings/work/targets", work.new_target, setting),
        *door.routes("/settings/work/targets", work.save_target, setting, "POST"),
        *door.routes("/settings/work/targets/{id}", work.target_page, setting),
        *door.routes("/settings/work/targets/{id}", work.save_target, setting, "POST"),
        *door.routes("/settings/work/targets/{id}/move", work.move_target, setting, "POST"),
        *door.routes("/settings/work/targets/{id}/delete", work.delete_target, setting, "POST"),
        *door.routes("/settings/work/limits", work.save_limits, setting, "POST"),
        *door.routes("/settings/work/people", work.save_people, setting, "POST"),
        *door.routes("/settings/me/away", work.switch_away, reply, "POST"),
        *door.routes("/settings/privacy", privacy.index, duty),
        *door.routes("/settings/privacy/access", privacy.looks, duty),
        *door.routes("/settings/privacy/keeping", privacy.preview, duty),
        *door.routes("/settings/privacy/keeping", privacy.save_keeping, duty, "POST"),
        *door.routes("/settings/privacy/{id}/export", privacy.export_link, out),
        *door.routes("/settings/privacy/{id}/handed-over", privacy.hand_over, duty, "POST"),
        *door.routes("/settings/widget/{id}", settings.save_widget, setting, "POST"),
    ]
