"""Axis names and aliases used in shape annotations.

| axis       | what it counts                                              |
| ---------- | ----------------------------------------------------------- |
| `batch`    | episodes in one update                                      |
| `items`    | labelled examples of a support or query set                 |
| `support`  | examples of a support set, `way * shot`                     |
| `query`    | examples of a query set, `way * queries`                    |
| `way`      | classes of an episode (N)                                   |
| `time`     | steps of a recurrence                                       |
| `slots`    | rows of a memory (l)                                        |
| `width`    | columns of a memory (k)                                     |
| `in`,`out` | input and output features of a module                       |
| `features` | features of an embedding                                    |
| `gates`    | the four gates of an LSTM, stacked                          |
| `keys`     | columns of a memory's keys                                  |
| `images`   | images embedded in one call                                 |
| `channels` | filters of a convolution block                              |
| `classes`  | classes a task draws from                                   |
| `drawings` | drawings of one class                                       |
| `each`     | examples of each class in a support or query set            |
| `height`   | image rows                                                  |
| `columns`  | image columns                                               |
| `strokes`  | strokes of a generated character; also `points` and `shakes` |
| `pixels`   | pixels of an image, in one row                              |
| `episodes` | episodes of an evaluation                                   |
| `seeds`    | independent repetitions of a training                       |
| `heads`    | reads of a memory in one step                               |
| `interface` | length of a memory's interface vector                     |
| `entry`    | numbers in which input and state enter a step; also `feed`, `source` |
| `outputs`  | numbers of a predicted distribution                         |
| `target`   | size of a label as a stream shows it; also `places`, `letters` |
| `instances` | how often a class has come, up to a most                   |
"""

from jaxtyping import Array, Float, PRNGKeyArray

Key = PRNGKeyArray
Scalar = Float[Array, ""]

__all__ = ["Key", "Scalar"]
