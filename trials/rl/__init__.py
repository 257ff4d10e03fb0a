"""Reinforcement learning: what PPO trains with, rollouts, and what a warm start makes of them."""
