"""Mail, through the standard library."""

from __future__ import annotations

import os
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import unquote, urlsplit

from alerts.channels.contract import READ_S, SendError
from alerts.messages import Message
from settings.addresses import is_loopback
from settings.alerts import Channel

LONGEST_SUBJECT = 150


def send(channel: Channel, message: Message) -> None:
    """Send one mail to all recipients. A password goes over TLS only, but on this machine. Raises SendError."""
    assert channel.url is not None
    parts = urlsplit(channel.url)
    host = parts.hostname or ""
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
    try:
        server: smtplib.SMTP
        if parts.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=READ_S, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 587, timeout=READ_S)
        with server:
            server.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
            elif parts.scheme == "smtp" and user and not is_loopback(host):
                raise SendError("it offers no TLS, and a password is not sent without: use smtps:// or another server")
            if user:
                server.login(user, password)
            refused = server.send_message(_mail(channel, message), channel.sender, list(channel.recipients))
    except smtplib.SMTPResponseException as problem:
        raise SendError(f"it refused the mail with {problem.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused:
        raise SendError("it refused every recipient") from None
    except TimeoutError:
        raise SendError("it did not respond in time") from None
    except (OSError, smtplib.SMTPException, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or type(problem).__name__
        raise SendError(f"it could not be reached ({reason})") from None
    if refused and len(refused) == len(channel.recipients):
        raise SendError("it refused every recipient")


def _mail(channel: Channel, message: Message) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.recipients)
    title = f"Uptoken: {message.title}"
    mail["Subject"] = title if len(title) <= LONGEST_SUBJECT else title[: LONGEST_SUBJECT - 1] + "…"
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = make_msgid(domain=(channel.sender or "@uptoken").rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    links = dict.fromkeys(event["url"] for event in message.events if event.get("url"))
    mail.set_content("\n".join([message.text, *(["", *links] if links else [])]) + "\n")
    return mail
