"""JSON routes that user_app and merchant_app have alike; each app includes the routers it wants."""
