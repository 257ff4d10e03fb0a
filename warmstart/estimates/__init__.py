"""Hyper-gradients: the derivative of the held-out loss after virtual optimiser steps, by coordinate.

theta_H is the network after H virtual steps under the configuration psi, from its initial weights and a
zero optimiser state. Routes to dL_heldout(theta_H)/dpsi, which agree; ``estimate.py`` chooses among them:

``closed``     H = 1, the default (``closed_form.py``). With g_v = grad L_heldout(theta_1), everything that
               acts through the optimiser is a dot product with g_v. What acts through the loss takes one more
               backward pass of the training graph, which is kept; what acts through the network's inputs, two
               gradients.
``tangents``   any H (``tangents.py``): the derivative Z of the weights is carried through the steps, one Z a
               coordinate; Hessian-vector products by differentiating the gradient again.
``first-order`` the same without the products: exact for H = 1, an approximation beyond, at half the cost or
               less.
``differences`` any H, and whatever can be trained (``differences.py``): real steps of a real optimiser, under
               configurations a little lower and higher.

One step, with u = phi(d) the update and d = g + l1*theta (``optimizers.py``):

    dL/dlr        = -(<g_v, u> + l2*<g_v, theta>)
    dL/dsetting   = -lr * <g_v, du/dsetting>
    dL/dpsi       = -lr * <g_v, phi'(d) * dg/dpsi>        through the loss or the inputs

and the tangents, for a coordinate psi with Z = dtheta/dpsi, Z_0 = 0 (a dot is a derivative by psi):

    dg = Hess Z + dg/dpsi;   (Z, state') <- tangent of the optimiser's step;   dL/dpsi = <grad L_heldout, Z_H>

A finite step is taken along coordinates that act through the inputs: the gradient of a ReLU network jumps as
its inputs move, so that only a difference over a step means anything.

Sources: Luketina et al. 2016, arXiv:1511.06727, eq. 5; Baydin et al. 2018, arXiv:1703.04782;
Franceschi et al. 2017, arXiv:1703.01785 (forward and reverse mode). The reference that the tests hold all of
them to, which differentiates the steps themselves in reverse mode, is in ``tests/warmstart/reverse_mode.py``.
"""
