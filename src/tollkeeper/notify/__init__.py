"""Ways of telling people and programs: signed webhooks, chats and mail."""
