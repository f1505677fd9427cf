"""Writes to people by mail: SMTP (RFC 5321), protected by STARTTLS (RFC 3207)."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from tranche.news import News
from tranche.ports import NotTold
from tranche.routes import EmailTo

TIMEOUT_S: Final = 20.0
LONGEST_SUBJECT: Final = 200


class MailSender:
    """One connection a message. Without the TLS the site asks for, nothing is sent."""

    def __init__(self, to: EmailTo) -> None:
        self._to = to

    def send(self, news: News) -> None:
        host, _, port = self._to.server.rpartition(":")
        password = self._to.password.read() if self._to.password is not None else ""
        try:
            with smtplib.SMTP(host, int(port), timeout=TIMEOUT_S) as server:
                if self._to.tls == "starttls":
                    server.starttls(context=ssl.create_default_context(cafile=self._to.ca))
                if self._to.user is not None:
                    server.login(self._to.user, password)
                refused = server.send_message(letter(news, self._to))
        except smtplib.SMTPResponseException as error:
            # Its text is the server's, and may repeat what it was sent.
            told, is_final = f"the mail server answers {error.smtp_code}", 500 <= error.smtp_code < 600
            raise NotTold(told, is_final=is_final) from None
        except smtplib.SMTPRecipientsRefused as error:
            raise NotTold("the mail server takes mail for none of them", is_final=_all_final(error)) from None
        except (OSError, smtplib.SMTPException) as error:
            raise NotTold(f"the mail server does not take it ({type(error).__name__})") from None
        if refused:
            raise NotTold(f"the mail server does not take mail for {', '.join(refused)}", is_final=True)


def _all_final(error: smtplib.SMTPRecipientsRefused) -> bool:
    return all(500 <= code < 600 for code, _ in error.recipients.values())


def letter(news: News, to: EmailTo) -> EmailMessage:
    """The mail. Its Message-ID is made of the news' key, so that one that comes twice is the same one."""
    mail = EmailMessage()
    mail["Subject"] = " ".join(f"[{news.severity}] {news.title}".split())[:LONGEST_SUBJECT]
    mail["From"], mail["To"] = to.sender, ", ".join(to.to)
    mail["Date"] = format_datetime(news.at)
    mail["Message-ID"] = _identifier(news.key, to)
    mail["Auto-Submitted"] = "auto-generated"
    if news.matter is not None and news.matter != news.key:
        mail["In-Reply-To"] = mail["References"] = _identifier(news.matter, to)
    mail.set_content(f"{news.title}\n\n{news.text}\n\n{news.at:%Y-%m-%d %H:%M:%S} UTC, {news.key}\n")
    return mail


def _identifier(key: str, to: EmailTo) -> str:
    kept = "".join(sign if sign.isalnum() or sign in "-_." else "." for sign in key)
    return f"<{kept}@{to.sender.rpartition('@')[2]}>"
