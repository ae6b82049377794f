"""Trains a GAN on scikit-learn's embedded digits, saves it, and serves a sample of it.

    python examples/quickstart.py

It takes less than a minute on two CPU cores, and needs no network.
"""

import console

console.prepare()  # Quiets TensorFlow's log, and lets Ctrl-C end the program with one line.

import keras

import tfgen
from tfgen import distributions, networks

keras.utils.set_random_seed(0)  # Of the initial weights.
data = tfgen.data.load("digits", split="train", batch_size=64)
gan = tfgen.adversarial.GAN(
    networks.InfoGANGenerator(data.event_shape, hidden_units=256, filters=(64, 32)),
    networks.InfoGANDiscriminator(hidden_units=256, filters=(32, 64), batch_norm=True),
    prior=distributions.StandardNormal(32),
    ema_decay=0.999,  # The average of the generator is what samples.
)
gan.compile()
sheets = tfgen.callbacks.SampleGrid("runs/quickstart", every=25)
gan.fit(data, epochs=100, callbacks=[sheets], verbose=2)

images = gan.sample(64, seed=0)  # The same 64 images, always.
gan.save("runs/quickstart/model.keras")
version = tfgen.serving.export(gan, "runs/quickstart/serving")
with tfgen.serving.SessionLoader(version) as served:  # As TensorFlow Serving loads it.
    answer = served("sample", seed=[0])["images"]

difference = abs(answer[0] - images[0].numpy()).max()
print(f"The served sample differs from the model's own by {difference:.0e} at most.")
print(f"runs/quickstart holds samples_*.png, model.keras and {version.parent.name}/{version.name}.")
