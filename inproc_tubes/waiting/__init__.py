"""How threads and coroutines sleep until their requests are answered."""
