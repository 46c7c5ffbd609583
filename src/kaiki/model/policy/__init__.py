"""How traffic is treated once its destination is chosen: one module per kind of policy."""
