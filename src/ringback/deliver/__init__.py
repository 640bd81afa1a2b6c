"""Sends webhooks: takes due deliveries from the store, makes one guarded attempt each, writes it down."""
