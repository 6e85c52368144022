"""One sentence for each metric of a run, shown by TensorBoard beside the curve."""

import re

DESCRIPTIONS = {
    "d/adv": "D's adversarial loss, mean since the last point. Near 0, D has won; see health/d_left.",
    "g/adv": "G's adversarial loss, mean since the last point. It need not fall: D improves as well.",
    "d/logit_real": "D's mean logit of real images.",
    "d/logit_fake": "D's mean logit of generated images.",
    "d/logit_rebuilt": "D's mean logit of images that the decoder rebuilt.",
    "d/real": "D's loss of real images, where it has no common loss of both.",
    "d/fake": "D's loss of generated images, with the weight that balances both.",
    "d/r1": "Penalty on D's squared gradient at real images, with its weight.",
    "d/r2": "Penalty on D's squared gradient at generated images, with its weight.",
    "d/gp": "Penalty that draws the norm of D's gradient to 1, with its weight.",
    "d/drift": "Penalty on the square of D's logits of real images, with its weight.",
    "d/class": "Loss of D's classifier, with its weight.",
    "g/class": "D's classification loss on generated images, with its weight.",
    "d/lecam": "LeCam: how far D's logits are on their own side of the other kind's average, with its weight.",
    "d/direction": "SAN: minus the distance of real and generated images along the direction of D's last layer.",
    "g/teacher": "Squared distance of G's images to those of the averaged G, with its weight.",
    "d/reconstruction": "Error of the images that D's decoder rebuilds from its features.",
    "d/history": "Distance of D's weights from their average so far, with its weight.",
    "g/history": "Distance of G's weights from their average so far, with its weight.",
    "g/features": "Squared distance of the mean features of real and generated images.",
    "g/similarity": "Error of rebuilt images in D's features, with its weight.",
    "g/l1": "Mean absolute difference of pictures and their reconstructions, in the range [-1, 1].",
    "g/perceptual": "Relative difference of their features in a pretrained network, with its weight.",
    "g/prior": "Divergence of the encoder's latents from the prior.",
    "g/kl": "Divergence of the codes' distributions from N(0, I), with its weight.",
    "health/separation": "Share of pairs of a training image and a sample that D ranks correctly. D has won above .99, "
    "and lost below .25.",
    "health/logit_spread": "Deviation of D's logits over training images and samples. Below .005, D is constant.",
    "health/memorised": "How far D places held-out images from training ones towards samples; at 1, where it "
    "places samples.",
    "health/heldout_separation": "Share of pairs of a held-out image and a sample that D ranks correctly. At most .5 "
    "while health/separation is above .8, D knows its training images by heart.",
    "health/g_gradient": "Norm of G's gradient. Below a hundredth of its first values, G learns next to nothing.",
    "health/d_left": "D's loss as a share of the loss of guessing. Below .05, D has won.",
    "health/loss_scale": "Factor of the losses in fp16. Below 1, gradients overflow.",
    "health/diversity": "Mean distance of two samples over that of two real images. Below .4, G has collapsed.",
    "health/duplicates": "Share of samples with a twin among them. Above .5, G has collapsed.",
    "health/stage_steps": "Steps since the stage of the training began.",
    "health/contrast": "Contrast of samples over that of real images. Below .05, G is dead.",
    "eval/seconds": "Time that the evaluation took.",
    "eval/fd": "Frechet distance of features to held-out images; lower is better.",
    "eval/kid": "Kernel distance of features to held-out images; lower is better, and it may be negative.",
    "eval/precision": "Share of samples near a real image; compare with real images' own.",
    "eval/recall": "Share of real images near a sample; higher is better.",
    "eval/density": "How many real neighbourhoods a sample lies in; compare with real images' own.",
    "eval/coverage": "Share of real images with a sample in their neighbourhood; higher is better.",
    "eval/modes": "Classes, or clusters of points, that samples reach; higher is better.",
    "eval/high_quality": "Share of points near a cluster's centre; higher is better.",
    "eval/reverse_kl": "Divergence of the samples' classes or clusters from the data's; lower is better.",
    "eval/class_kl": "Divergence of the samples' classes from the data's; lower is better.",
    "eval/tone": "Difference in brightness and colour from real images; lower is better.",
    "eval/swd": "Sliced Wasserstein distance of patches to real images; lower is better.",
}


def description(name: str) -> str:
    """The sentence for a value such as ``d/adv`` or ``eval/fd_lenet_6ec3``; empty for an unknown one."""
    if name in DESCRIPTIONS or not name.startswith("eval/"):
        return DESCRIPTIONS.get(name, "")
    metric = max((known for known in DESCRIPTIONS if name.startswith(f"{known}_")), key=len, default="")
    features = re.sub(f"^{metric}_", "", name)
    return f"{DESCRIPTIONS[metric]} Measured on: {features}." if metric else ""
