"""What a run is: frozen, complete, validated settings. The lowest floor; it imports none of the others."""
