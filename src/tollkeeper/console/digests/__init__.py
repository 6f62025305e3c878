"""The weekly digest: what it says, as a mail with pictures, as plain text and for chats."""
