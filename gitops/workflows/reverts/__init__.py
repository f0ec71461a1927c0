"""What stopped a rollout is proposed to be taken back."""
