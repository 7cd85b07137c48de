"""The relatives of IDM, one file each; `agent.registry` names them."""
