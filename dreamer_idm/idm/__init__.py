"""IDM: Imagination with Derived Memory (Mu et al., NeurIPS 2021).

  decoding_constraint   R2S2, eq. 1      in the world model's loss
  derived_memory        eq. 2            more starts of imagination
  trajectory_evaluator  eq. 3            how real a transition looks
  reliability_weights   eq. 4            in the losses of actor and critic
"""
